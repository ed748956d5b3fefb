"""The parts of the site, one file each: a router and the pages it draws."""
