"""What a run reports: metric logs, heatmaps, HTML pages, the progress line and the log file."""
