"""What an export needs beside its checkpoint: calibration table and labelled crops."""
