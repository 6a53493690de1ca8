"""The doctor's single checks, on what real hosts can hardly be made to show."""
