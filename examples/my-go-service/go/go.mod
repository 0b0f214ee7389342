module tulle.dev/examples/my-go-service

go 1.21
