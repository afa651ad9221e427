"""What the commands print: from the API's answers to text, as the output can show it."""
