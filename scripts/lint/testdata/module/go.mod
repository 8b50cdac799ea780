module example.org/findings

go 1.26
