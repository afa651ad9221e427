"""How well the company's requests are spent, against the best that anybody could do with as many."""
