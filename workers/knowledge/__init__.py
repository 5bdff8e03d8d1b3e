"""Keeps the index of knowledge folders up to date: reads files, cuts them into chunks, puts them in."""
