/** A gRPC service of the four kinds, by grpc-js, whose messages are plain text; and a client for it. */
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type CallOptions,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type ServiceError,
} from '@grpc/grpc-js'

const encode = (text: string): Buffer => Buffer.from(text)
const decode = (bytes: Buffer): string => bytes.toString()

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/echo.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  }
}

const service = {
  unary: method('Unary', false, false),
  download: method('Download', false, true),
  upload: method('Upload', true, false),
  chat: method('Chat', true, true),
}

const asIs = (bytes: Buffer): Buffer => bytes

/** gRPC's health protocol. */
const health = {
  check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
}

export interface GrpcEcho extends AsyncDisposable {
  readonly port: number
  /** Calls that the server saw given up. */
  readonly cancelled: string[]
  /** Calls so far. */
  readonly calls: string[]
}

/** `fail CODE` as a message ends a call with that status; `hang` never answers. */
export async function startGrpcEcho(wanted = 0): Promise<GrpcEcho> {
  const cancelled: string[] = []
  const calls: string[] = []
  const server = new Server()
  server.addService(service, {
    unary(call: ServerUnaryCall<string, string>, answer: sendUnaryData<string>) {
      calls.push('unary')
      call.on('cancelled', () => cancelled.push('unary'))
      const failure = /^fail (\d+)$/.exec(call.request)
      if (failure !== null) answer({ code: Number(failure[1]), details: 'as you wish' })
      else if (call.request !== 'hang') {
        const trailer = new Metadata()
        trailer.set('x-trailer', 'kept')
        answer(null, `hello ${call.request}`, trailer)
      }
    },
    download(call: ServerWritableStream<string, string>) {
      calls.push('download')
      for (let count = 0; count < Number(call.request); count += 1) call.write(`part ${count}`)
      call.end()
    },
    upload(call: ServerReadableStream<string, string>, answer: sendUnaryData<string>) {
      calls.push('upload')
      let bytes = 0
      call.on('data', (text: string) => (bytes += text.length))
      call.on('end', () => answer(null, String(bytes)))
    },
    chat(call: ServerDuplexStream<string, string>) {
      calls.push('chat')
      call.on('cancelled', () => cancelled.push('chat'))
      call.on('data', (text: string) => call.write(`you said ${text}`))
      call.on('end', () => call.end())
    },
  })
  server.addService(health, {
    check(_call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
      // SERVING, whatever was asked.
      answer(null, Buffer.of(8, 1))
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${wanted}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  return {
    port,
    cancelled,
    calls,
    [Symbol.asyncDispose]() {
      server.forceShutdown()
      return Promise.resolve()
    },
  }
}

export class EchoClient implements Disposable {
  readonly #client: Client

  /** `options` of the channel. */
  constructor(target: string, options: Record<string, string | number> = {}) {
    this.#client = new Client(target, credentials.createInsecure(), {
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      ...options,
    })
  }

  /** The answer, and the trailer of the service; or the status. */
  unary(text: string, options: CallOptions = {}, metadata = new Metadata()): Promise<string> {
    const { path } = service.unary
    return new Promise((resolve, reject) => {
      let body: string | undefined
      let trailer: string | undefined
      // Either may be told first.
      const finish = (): void => {
        if (body !== undefined && trailer !== undefined) resolve(body + trailer)
      }
      const call = this.#client.makeUnaryRequest(
        path,
        encode,
        decode,
        text,
        metadata,
        options,
        (error: ServiceError | null, answer?: string) => {
          if (error !== null) reject(error)
          body = answer ?? ''
          finish()
        },
      )
      call.on('status', (end) => {
        const [kept] = end.metadata.get('x-trailer')
        trailer = kept === undefined ? '' : ` (${kept.toString()})`
        finish()
      })
    })
  }

  download(count: number): Promise<string[]> {
    const call = this.#client.makeServerStreamRequest(
      service.download.path,
      encode,
      decode,
      String(count),
    )
    return collect(call)
  }

  upload(parts: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeClientStreamRequest(
        service.upload.path,
        encode,
        decode,
        (error: ServiceError | null, answer?: string) => {
          if (error === null) resolve(answer ?? '')
          else reject(error)
        },
      )
      for (const part of parts) call.write(part)
      call.end()
    })
  }

  /** One message at a time: the next is sent when the last was answered. */
  async chat(texts: readonly string[]): Promise<string[]> {
    const call = this.openChat()
    const answers: string[] = []
    for (const text of texts) {
      const answer = new Promise<string>((resolve, reject) => {
        call.once('data', resolve)
        call.once('error', reject)
      })
      call.write(text)
      answers.push(await answer)
    }
    const ended = new Promise((resolve) => call.once('end', resolve))
    call.end()
    call.resume()
    await ended
    return answers
  }

  openChat() {
    const call = this.#client.makeBidiStreamRequest(service.chat.path, encode, decode)
    call.on('error', () => {
      // Calls that are given up end so.
    })
    return call
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }
}

function collect(call: NodeJS.ReadableStream): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const parts: string[] = []
    call.on('data', (part: string) => parts.push(part))
    call.on('error', reject)
    call.on('end', () => resolve(parts))
  })
}

export { status as grpcStatus }
