"""A lab for other tools: an autograder for Gradescope, results as JUnit XML, the student's folder as a zip."""
