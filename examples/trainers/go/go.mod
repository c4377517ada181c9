module example.com/perennial/linear

go 1.21
