/**
 * Writes to the mesh's configuration: create, replace, merge-patch, delete, with compare-and-set by
 * resourceVersion, and everything that the model finds wrong in one answer.
 *
 * What a file declares is changed in that file: 409 says which, and where. Without a store every other write is
 * refused with 405, which says which folder to edit instead.
 */
import { declaredInAnnotation, type ApiObject } from '../../api/object.ts'
import { MeshError, type MeshErrorCode } from '../../lib/mesh-error.ts'
import type { Issue } from '../../model/issue.ts'
import { validate } from '../../model/parse.ts'
import { describeResource, resourceKey, type Resource } from '../../model/resource.ts'
import type { Store, StoredResource } from '../../store/source.ts'
import { inVersion, type ObjectStore } from './object-store.ts'
import { notFound } from './read.ts'
import type { ApiTarget } from './request.ts'
import { ApiError, success, type StatusReason } from './status.ts'

export interface WriteContext {
  readonly objects: ObjectStore
  /** Undefined: the API is read-only. */
  readonly store: Store | undefined
  /** Files and folders that a person edits instead. */
  readonly paths: readonly string[]
}

export interface WriteRequest {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly target: ApiTarget
  readonly body: unknown
  readonly isDryRun: boolean
}

export interface WriteAnswer {
  readonly code: number
  readonly body: unknown
}

type Json = Readonly<Record<string, unknown>>

/** Rejections: ApiError. */
export async function writeObject(
  context: WriteContext,
  request: WriteRequest,
): Promise<WriteAnswer> {
  const { target, method } = request
  if (target.kind.view !== undefined) {
    const message = `${target.kind.plural}.${target.kind.group} shows what runs and cannot be written`
    throw new ApiError('MethodNotAllowed', message)
  }
  checkVerb(method, target)
  const body = target.name === undefined ? asObject(request.body) : undefined
  const name = target.name ?? nameIn(body)
  checkOwner(context, target, name)
  const writable = { ...context, store: writableStore(context) }
  try {
    return await verbs[method](writable, request)
  } catch (error) {
    throw asApiError(error, target, name)
  }
}

const verbs: Readonly<
  Record<WriteRequest['method'], (context: Writable, request: WriteRequest) => Promise<WriteAnswer>>
> = {
  POST: create,
  PUT: (context, request) => update(context, request, asObject(request.body)),
  PATCH: patch,
  DELETE: remove,
}

type Writable = WriteContext & { readonly store: Store }

function checkVerb(method: WriteRequest['method'], target: ApiTarget): void {
  const isCollection = target.name === undefined
  if (isCollection !== (method === 'POST')) {
    throw new ApiError('MethodNotAllowed', `${method} is not possible at this path`)
  }
  if (isCollection && target.kind.isNamespaced && target.namespace === undefined) {
    const message = 'create objects in a namespace: …/namespaces/NAMESPACE/' + target.kind.plural
    throw new ApiError('MethodNotAllowed', message)
  }
}

function checkOwner(context: WriteContext, target: ApiTarget, name: string): void {
  const place = { namespace: target.namespace ?? '', name }
  const stored = context.objects.stored(target.kind, place)
  if (stored === undefined || stored.resource.origin.file === '') return
  const { file, line } = stored.resource.origin
  throw new ApiError(
    'Conflict',
    `${describeResource(stored.resource)} is declared in ${file}:${line}: edit that file; the change takes effect when it is saved`,
    { name, group: target.kind.group, kind: target.kind.plural },
  )
}

function writableStore({ store, paths }: WriteContext): Store {
  if (store !== undefined) return store
  const where =
    paths.length === 0
      ? 'start the control plane with --store memory'
      : `edit ${paths.join(' or ')}`
  throw new ApiError('MethodNotAllowed', `this control plane has no store to write to: ${where}`)
}

async function create(context: Writable, request: WriteRequest): Promise<WriteAnswer> {
  const resource = readResource(request.target, asObject(request.body))
  const { name, namespace } = resource.metadata
  if (context.objects.stored(request.target.kind, { namespace, name }) !== undefined) {
    throw alreadyExists(request.target, name)
  }
  if (!request.isDryRun) await context.store.put(resource, { expect: 'absent' })
  return { code: 201, body: shown(context, request, resource) }
}

async function update(context: Writable, request: WriteRequest, body: Json): Promise<WriteAnswer> {
  const { target } = request
  const { stored, object } = current(context, target)
  const expected = metadataOf(body)['resourceVersion']
  checkVersion(target, object, expected)
  const resource = readResource(target, body)
  if (!request.isDryRun) {
    await context.store.put(withAge(resource, stored), { expect: stored.revision })
  }
  return { code: 200, body: shown(context, request, resource) }
}

function patch(context: Writable, request: WriteRequest): Promise<WriteAnswer> {
  const { object } = current(context, request.target)
  const merged = mergePatch(
    inVersion(object, request.target.kind, request.target.version),
    request.body,
  )
  return update(context, request, asObject(merged))
}

async function remove(context: Writable, request: WriteRequest): Promise<WriteAnswer> {
  const { target } = request
  const { stored, object } = current(context, target)
  const options = request.body === undefined ? {} : asObject(request.body)
  const preconditions = options['preconditions']
  const expected = isObject(preconditions) ? preconditions['resourceVersion'] : undefined
  checkVersion(target, object, expected)
  if (!request.isDryRun) {
    const { group, kind } = target.kind
    await context.store.delete(resourceKey(group, kind, stored.resource.metadata), {
      expect: stored.revision,
    })
  }
  const { name } = stored.resource.metadata
  return { code: 200, body: success({ name, group: target.kind.group, kind: target.kind.plural }) }
}

function current(context: Writable, target: ApiTarget) {
  const place = { namespace: target.namespace ?? '', name: target.name ?? '' }
  const stored = context.objects.stored(target.kind, place)
  const object = context.objects.collection(target.kind).get(place.namespace, place.name)
  if (stored === undefined || object === undefined) throw notFound(target)
  return { stored, object }
}

function checkVersion(target: ApiTarget, object: ApiObject, expected: unknown): void {
  if (expected === undefined || expected === '') return
  if (expected === object.metadata.resourceVersion) return
  const { name } = object.metadata
  const details = { name, group: target.kind.group, kind: target.kind.plural }
  const message =
    `Operation cannot be fulfilled on ${target.kind.plural} "${name}": the object has been modified; ` +
    'please apply your changes to the latest version and try again'
  throw new ApiError('Conflict', message, details)
}

/** The body as a resource of the kind, namespace and name that the path says. */
function readResource(target: ApiTarget, body: Json): Resource {
  const { kind, version, namespace } = target
  const apiVersion = kind.group === '' ? version : `${kind.group}/${version}`
  expectSame('kind', body['kind'] ?? kind.kind, kind.kind)
  expectSame('apiVersion', body['apiVersion'] ?? apiVersion, apiVersion)
  const metadata = metadataOf(body)
  if (kind.isNamespaced)
    expectSame('metadata.namespace', metadata['namespace'] ?? namespace, namespace)
  if (target.name !== undefined)
    expectSame('metadata.name', metadata['name'] ?? target.name, target.name)
  const { resourceVersion: _version, uid: _uid, annotations, ...kept } = metadata
  const value = {
    ...body,
    apiVersion,
    kind: kind.kind,
    metadata: {
      ...kept,
      ...(target.name === undefined ? {} : { name: target.name }),
      ...(isObject(annotations) ? { annotations: withoutOrigin(annotations) } : {}),
    },
  }
  const parsed = validate(value, { namespace: namespace ?? 'default' })
  if (parsed.ok) return parsed.value
  throw invalid(target, nameIn(body), parsed.issues)
}

/** Ours, and says nothing about what is written now. */
function withoutOrigin(annotations: Json): Json {
  const { [declaredInAnnotation]: _, ...rest } = annotations
  return rest
}

function expectSame(field: string, got: unknown, expected: unknown): void {
  if (got === expected) return
  const message = `${field}: the path says ${JSON.stringify(expected)}, the body ${JSON.stringify(got)}`
  throw new ApiError('BadRequest', message)
}

function invalid(target: ApiTarget, name: string, issues: readonly Issue[]): ApiError {
  const causes = issues
    .filter((issue) => issue.severity === 'error')
    .map(({ path, message }) => ({ reason: 'FieldValueInvalid', field: path, message }))
  const list = causes.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`))
  const details = { name, group: target.kind.group, kind: target.kind.kind, causes }
  return new ApiError(
    'Invalid',
    `${target.kind.kind} "${name}" is invalid: ${list.join('; ')}`,
    details,
  )
}

function alreadyExists(target: ApiTarget, name: string): ApiError {
  const { group, plural } = target.kind
  const qualified = group === '' ? plural : `${plural}.${group}`
  return new ApiError('AlreadyExists', `${qualified} "${name}" already exists`, {
    name,
    group,
    kind: plural,
  })
}

/** As the API shows it now; a dry run shows what would be. */
function shown(
  { objects }: Writable,
  { target, isDryRun }: WriteRequest,
  resource: Resource,
): unknown {
  const { name, namespace } = resource.metadata
  const object = isDryRun ? undefined : objects.collection(target.kind).get(namespace, name)
  if (object !== undefined) return inVersion(object, target.kind, target.version)
  const { apiVersion, kind, metadata, spec } = resource
  const { labels, annotations } = metadata
  return { apiVersion, kind, metadata: { name, namespace, labels, annotations }, spec }
}

function withAge(resource: Resource, stored: StoredResource): Resource {
  const { creationTimestampMs } = stored.resource.metadata
  return { ...resource, metadata: { ...resource.metadata, creationTimestampMs } }
}

/** RFC 7396. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = mergePatch(result[key], value)
  }
  return result
}

function asApiError(error: unknown, target: ApiTarget, name: string): unknown {
  if (!(error instanceof MeshError)) return error
  const message = error.remedy === undefined ? error.message : `${error.message}: ${error.remedy}`
  if (error.code === 'MESH_STORE_EXISTS') return alreadyExists(target, name)
  const reason = storeReasons[error.code]
  return reason === undefined ? error : new ApiError(reason, message)
}

const storeReasons: Partial<Record<MeshErrorCode, StatusReason>> = {
  MESH_STORE_CONFLICT: 'Conflict',
  MESH_STORE_OWNED_BY_FILE: 'Conflict',
  MESH_STORE_NOT_FOUND: 'NotFound',
  MESH_STORE_UNAVAILABLE: 'ServiceUnavailable',
}

function asObject(value: unknown): Json {
  if (isObject(value)) return value
  throw new ApiError('BadRequest', 'the body must be a JSON object')
}

function metadataOf(body: Json): Json {
  const { metadata } = body
  return isObject(metadata) ? metadata : {}
}

function nameIn(body: Json | undefined): string {
  const name = body === undefined ? undefined : metadataOf(body)['name']
  return typeof name === 'string' ? name : ''
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
