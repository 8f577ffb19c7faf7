"""The labs, one package each; `tinyres.lab.catalogue` reads them."""
