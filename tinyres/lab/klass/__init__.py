"""What a teacher reads of a graded class: a table, a text for each student, a page about all."""
