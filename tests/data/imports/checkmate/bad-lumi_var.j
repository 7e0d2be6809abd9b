{"lumi": "many", "ecm": "13.0"}
