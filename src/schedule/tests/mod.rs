//! When jobs run, in tables, by chance, and over a year.
