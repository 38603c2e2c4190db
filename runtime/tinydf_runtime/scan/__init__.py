"""Archives: every video and picture of many folders, each content scored once; an interrupted scan resumes."""
