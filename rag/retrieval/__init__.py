"""Which passages a question is answered from, and the techniques that find them."""
