"""Course labs: tasks cut out of the library itself, checks that name the mistake, grading in a sandbox."""
