"""The edge operation as C++, generated for one description and compiled where it runs."""
