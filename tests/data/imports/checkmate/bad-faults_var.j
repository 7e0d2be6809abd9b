{"lumi": "many", "ecm": "-8"}
