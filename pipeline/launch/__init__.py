"""Hand an experiment over to DVC: plan first, repair DVC's files, start it."""
