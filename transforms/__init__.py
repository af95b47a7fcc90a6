"""What happens to the data: one Beam step a file, over the Beam-free packages `media` and `models`."""
