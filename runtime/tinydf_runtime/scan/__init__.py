"""Archives: every video and picture of many folders, each content scored once, whatever ends the work meanwhile."""
