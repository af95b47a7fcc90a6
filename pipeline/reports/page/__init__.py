"""The HTML page of `reelbeam report`: one file that needs no network."""
