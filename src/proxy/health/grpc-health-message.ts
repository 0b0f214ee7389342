/** The two messages of `grpc.health.v1`, in gRPC's frames: a service's name, and one number. */

/** HealthCheckRequest { string service = 1 }. */
export function encodeHealthRequest(service: string): Buffer {
  const name = Buffer.from(service)
  const message =
    name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name])
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  return Buffer.concat([frame, message])
}

/**
 * The status that HealthCheckResponse { ServingStatus status = 1 } holds: 1 is SERVING. 'none' while it is not whole, or
 * holds nothing; 'broken' when it cannot become a good answer: compressed, unreadable, or a second message.
 */
export function readHealthStatus(body: Buffer): number | 'none' | 'broken' {
  let from = 0
  let status: number | 'none' = 'none'
  let hasMessage = false
  while (body.length - from >= 5) {
    const [flags = 0] = body.subarray(from)
    // gRPC knows no other flag than that of compression.
    if (flags > 1) return 'broken'
    const length = body.readUInt32BE(from + 1)
    const end = from + 5 + length
    if (end > body.length) break
    if (length > 0) {
      const read = hasMessage || flags !== 0 ? undefined : readStatus(body.subarray(from + 5, end))
      if (read === undefined) return 'broken'
      hasMessage = true
      status = read
    }
    from = end
  }
  return status
}

/** Undefined: not such a message. Unknown fields are passed over. */
function readStatus(message: Buffer): number | undefined {
  let status = 0
  let at = 0
  while (at < message.length) {
    const tag = readVarint(message, at)
    if (tag === undefined || tag.value < 8) return undefined
    at = tag.end
    const wireType = tag.value & 7
    const field = readField(message, at, wireType)
    if (field === undefined || field.end > message.length) return undefined
    at = field.end
    if (tag.value === 8) status = field.value
  }
  return status
}

/** The value of a number; of others where they end alone. Undefined: a kind that there is not. */
function readField(
  message: Buffer,
  from: number,
  wireType: number,
): { value: number; end: number } | undefined {
  if (wireType === 1) return { value: 0, end: from + 8 }
  if (wireType === 5) return { value: 0, end: from + 4 }
  const number = wireType === 0 || wireType === 2 ? readVarint(message, from) : undefined
  if (number === undefined || wireType === 0) return number
  return { value: 0, end: number.end + number.value }
}

function readVarint(bytes: Buffer, from: number): { value: number; end: number } | undefined {
  let value = 0
  for (let index = 0; index < 10; index += 1) {
    const byte = bytes[from + index]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, end: from + index + 1 }
  }
  return undefined
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return Buffer.from([...bytes, rest])
}
