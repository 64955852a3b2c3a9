"""A table of who may do what, made with Python Keystone 30: every operation that a rule of its policy names, on things
of one's own, of one's own domain and of another one, as everybody whom the default roles tell apart.

operations   the rows: what is asked, from Python Keystone's rules and cases.yaml
personas     the columns: who asks
world        the objects, from world.yaml
asking       asks one server
recording    keeps Python Keystone's answers
table        the file
"""
