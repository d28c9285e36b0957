"""From any container into any other, undecoded, with every record and every pair accounted for."""
