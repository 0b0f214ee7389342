/** Counts gRPC messages as they pass (Envoy's `grpc_stats`): a message counts when it begins. */
import { GrpcFrames } from '../http/grpc-frame.ts'

export class GrpcMessageCount {
  messages = 0
  readonly #frames = new GrpcFrames()

  add(chunk: Uint8Array): void {
    for (let position = 0; position < chunk.length;) {
      if (this.#frames.isBetween) this.messages += 1
      position = this.#frames.read(chunk, position)
    }
  }
}
