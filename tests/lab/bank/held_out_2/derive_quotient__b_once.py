# task: derive.quotient
# way: db from da
# slip: b is divided by once in db, not twice
# right: -a * da / b
# wrong: -a * da


def quotient(dy, a, b, needs=(True, True)):
    da = dy / b
    db = -a * da if needs[1] else None
    return da if needs[0] else None, db
