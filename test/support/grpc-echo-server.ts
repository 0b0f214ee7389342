/** The gRPC service of grpc-echo.ts as a program, for meshes that start their applications: it listens on $PORT. */
import { startGrpcEcho } from './grpc-echo.ts'

await startGrpcEcho(Number(process.env['PORT']))
