/**
 * Descriptors of all message types, one file at a time.
 *
 * The generated set holds about 400 .proto files; a bootstrap needs about 70 of them. Decoding all takes 40 ms
 * and 25 MB, so only their names are scanned at first, and a file is decoded, with what it imports, when one of
 * its types is asked for.
 */
import { gunzipSync } from 'node:zlib'

import {
  createFileRegistry,
  fromBinary,
  type DescEnum,
  type DescFile,
  type DescMessage,
  type Registry,
} from '@bufbuild/protobuf'
import { nestedTypes } from '@bufbuild/protobuf/reflect'
import { BinaryReader } from '@bufbuild/protobuf/wire'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'

import { invariant } from '../lib/assert.ts'
import { descriptors } from './proto/generated/descriptors.ts'

// Field numbers of google.protobuf.FileDescriptorSet, FileDescriptorProto and DescriptorProto.
const setFile = 1
const fileName = 1
const filePackage = 2
const fileMessage = 4
const messageName = 1
const messageNested = 3

export class DescriptorRegistry implements Registry {
  readonly kind = 'registry'
  readonly #encoded = new Map<string, Uint8Array>()
  readonly #fileOfType = new Map<string, string>()
  readonly #files = new Map<string, DescFile>()
  readonly #messages = new Map<string, DescMessage>()

  constructor() {
    const set = new BinaryReader(gunzipSync(Buffer.from(descriptors, 'base64')))
    eachField(set, set.len, (field) => {
      if (field !== setFile) return false
      this.#scanFile(set.bytes())
      return true
    })
  }

  getMessage(typeName: string): DescMessage | undefined {
    const known = this.#messages.get(typeName)
    if (known !== undefined) return known
    const path = this.#fileOfType.get(typeName)
    if (path === undefined) return undefined
    this.#load(path)
    return this.#messages.get(typeName)
  }

  get(typeName: string): DescMessage | undefined {
    return this.getMessage(typeName)
  }

  getEnum(): DescEnum | undefined {
    return undefined
  }

  getService(): undefined {}

  getExtension(): undefined {}

  getExtensionFor(): undefined {}

  *[Symbol.iterator]() {
    yield* this.#messages.values()
  }

  #scanFile(bytes: Uint8Array): void {
    const reader = new BinaryReader(bytes)
    let path = ''
    let scope = ''
    const names: string[] = []
    eachField(reader, reader.len, (field) => {
      if (field === fileName) path = reader.string()
      else if (field === filePackage) scope = `${reader.string()}.`
      else if (field === fileMessage) names.push(...messageNames(reader.bytes()))
      else return false
      return true
    })
    this.#encoded.set(path, bytes)
    for (const name of names) this.#fileOfType.set(scope + name, path)
  }

  /** Imports first, so that each file finds what it refers to already decoded. */
  #load(path: string): DescFile {
    const loaded = this.#files.get(path)
    if (loaded !== undefined) return loaded
    const bytes = this.#encoded.get(path)
    invariant(bytes !== undefined, `${path} is imported and not part of the descriptors`)
    const source = fromBinary(FileDescriptorProtoSchema, bytes)
    for (const imported of source.dependency) this.#load(imported)
    const file = createFileRegistry(source, (imported) => this.#files.get(imported)).getFile(path)
    invariant(file !== undefined, `${path} is not the name of the file it stands for`)
    this.#files.set(path, file)
    for (const type of nestedTypes(file)) {
      if (type.kind === 'message') this.#messages.set(type.typeName, type)
    }
    return file
  }
}

/** Own name, and the names of nested messages with it before them. */
function messageNames(bytes: Uint8Array): string[] {
  const reader = new BinaryReader(bytes)
  let name = ''
  const nested: string[] = []
  eachField(reader, reader.len, (field) => {
    if (field === messageName) name = reader.string()
    else if (field === messageNested) nested.push(...messageNames(reader.bytes()))
    else return false
    return true
  })
  return [name, ...nested.map((inner) => `${name}.${inner}`)]
}

/** Calls `read` for each field; what it does not read is skipped. */
function eachField(reader: BinaryReader, end: number, read: (field: number) => boolean): void {
  while (reader.pos < end) {
    const [field, wireType] = reader.tag()
    if (!read(field)) reader.skip(wireType, field)
  }
}
