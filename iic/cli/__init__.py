"""The command line `iic`."""
