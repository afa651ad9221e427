"""What calsyncd knows and decides: plain values in, plain values out, no I/O and no clock."""
