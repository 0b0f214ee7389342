module tulle.dev/open-loop

go 1.24.0
