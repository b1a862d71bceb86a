"""Output of runs and commands: metric logs, heatmaps, HTML pages, progress line and log file."""
