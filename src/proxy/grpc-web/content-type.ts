/** What requests and responses of gRPC and gRPC-Web say of their bodies. */
import type { RequestHead, ResponseHead } from '../http/message.ts'

export const grpcType = 'application/grpc'
export const webProtoType = 'application/grpc-web+proto'
export const webTextProtoType = 'application/grpc-web-text+proto'
const webType = 'application/grpc-web'
const webTextType = 'application/grpc-web-text'

/** Exactly one of the four names, as Envoy: a parameter makes it another type. */
export function isGrpcWeb({ headers }: RequestHead): boolean {
  const type = headers.get('content-type')
  return type === webType || type === webProtoType || isWebText(type)
}

export function isWebText(type: string | undefined): boolean {
  return type === webTextType || type === webTextProtoType
}

/** Whether a response with a body is one of gRPC. */
export function isGrpcAnswer({ status, headers }: ResponseHead): boolean {
  const type = headers.get('content-type') ?? ''
  return status === 200 && (type === grpcType || type.startsWith(`${grpcType}+`))
}

/** Whether it is one of gRPC-Web in bytes already. */
export function isWebAnswer({ status, headers }: ResponseHead): boolean {
  const type = headers.get('content-type') ?? ''
  if (status !== 200) return false
  const name = (type.split(';', 1)[0] as string).trimEnd().toLowerCase() // a split has a first part
  return name === webType || name === webProtoType
}
