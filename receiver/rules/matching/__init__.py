"""Pure, indexed matching of syncs and rules, with the reason for every yes and no."""
