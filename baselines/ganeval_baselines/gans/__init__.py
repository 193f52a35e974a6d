"""One GAN a file, holding only what differs from base.GAN."""
