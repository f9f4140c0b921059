"""What Google's services share: identity, and files in Drive and Cloud Storage."""
