"""Networks of Hugging Face transformers as backbones of occmask; see `networks` for each and its options."""
