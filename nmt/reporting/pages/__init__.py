"""HTML pages of attention, runs, comparisons and data checks; each is one offline file."""
