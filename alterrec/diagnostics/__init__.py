"""What ranks and histories say beyond a table of scores: imbalance of fusion, the long tail, the claims."""
