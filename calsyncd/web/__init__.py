"""The two HTTP sides: public, for Google and Aircall; admin, for operators."""
