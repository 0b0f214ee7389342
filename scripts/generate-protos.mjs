/**
 * Generates the TypeScript codecs of every protobuf message that crosses the xDS seam.
 *
 * Envoy's v3 API comes from the copies that grpc-js-xds carries; Istio's own few messages, written from their documented field numbers, are in `proto/`.
 * The output goes to `src/xds/proto/generated` (git-ignored): generated code is built, not committed.
 * Plain JavaScript, because it runs before anything is installed for TypeScript.
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { messageTable } from './message-table.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const staging = join(root, 'build', 'proto')
const output = join(root, 'src', 'xds', 'proto', 'generated')
/** Filled first and then moved to `output`, so that what runs meanwhile sees the old code or the new. */
const fresh = join(root, 'build', 'generated')
const deps = join(root, 'node_modules', '@grpc', 'grpc-js-xds', 'deps')

/** Files that import packages which the copies do not carry. None of them is part of what the mesh uses. */
const droppedFiles = [
  'envoy/config/trace/v3/opencensus.proto',
  'envoy/config/trace/v3/trace.proto',
  'envoy/extensions/access_loggers/open_telemetry',
  'envoy/service/metrics/v3/metrics_service.proto',
  'envoy/service/trace/v3',
]

/** Wanted although nothing of Envoy's imports them: configuration of extensions that the receiver may not know. */
const extraFiles = ['udpa/type/v1/typed_struct.proto', 'xds/type/v3/typed_struct.proto']

/** Fields that virtual hosts, routes and tables have alike, but for their numbers. */
function bufferLimit(number) {
  return `google.protobuf.UInt64Value request_body_buffer_limit = ${number};`
}

function routeSpecifiers(number) {
  return `repeated core.v3.TypedExtensionConfig route_specifiers = ${number};`
}

/** Fields of Envoy 1.40 that the copies are too old to have, with the numbers that Envoy gives them: what stands after which line. */
const laterFields = {
  'envoy/config/cluster/v3/circuit_breaker.proto': [
    ['import "envoy/type/v3/percent.proto";', 'import "google/protobuf/duration.proto";'],
    ['type.v3.Percent budget_percent = 1;', 'google.protobuf.Duration budget_interval = 3;'],
  ],
  'envoy/config/route/v3/route.proto': [
    ['import "envoy/config/core/v3/base.proto";', 'import "envoy/config/core/v3/extension.proto";'],
    [
      'repeated RouteAction.RequestMirrorPolicy request_mirror_policies = 13;',
      'string vhost_header = 18;',
      routeSpecifiers(19),
    ],
  ],
  'envoy/config/route/v3/route_components.proto': [
    [
      'import "envoy/config/core/v3/proxy_protocol.proto";',
      'import "envoy/config/common/mutation_rules/v3/mutation_rules.proto";',
      'import "envoy/config/core/v3/substitution_format_string.proto";',
      'import "envoy/type/matcher/v3/filter_state.proto";',
    ],
    ['bool include_attempt_count_in_response = 19;', bufferLimit(25), routeSpecifiers(26)],
    ['string stat_prefix = 19;', bufferLimit(20), routeSpecifiers(21)],
    ['oneof random_value_specifier {', 'google.protobuf.BoolValue use_hash_policy = 5;'],
    [
      'repeated type.matcher.v3.MetadataMatcher dynamic_metadata = 13;',
      'repeated type.matcher.v3.FilterStateMatcher filter_state = 16;',
      'message CookieMatcher { string name = 1; type.matcher.v3.StringMatcher string_match = 2; bool invert_match = 3; }',
      'repeated CookieMatcher cookies = 17;',
    ],
    [
      'bool disable_shadow_host_suffix_append = 6;',
      'repeated common.mutation_rules.v3.HeaderMutation request_headers_mutations = 7;',
      'string host_rewrite_literal = 8;',
    ],
    [
      'type.matcher.v3.RegexMatchAndSubstitute host_rewrite_path_regex = 35;',
      'string host_rewrite = 44;',
    ],
    [
      'MaxStreamDuration max_stream_duration = 36;',
      'google.protobuf.Duration flush_timeout = 42;',
      'string path_rewrite = 45;',
    ],
    [
      'repeated core.v3.TypedExtensionConfig retry_options_predicates = 12;',
      'bool refresh_cluster_on_retry = 14;',
    ],
    ['type.matcher.v3.RegexMatchAndSubstitute regex_rewrite = 9;', 'string path_rewrite = 10;'],
    ['core.v3.DataSource body = 2;', 'core.v3.SubstitutionFormatString body_format = 3;'],
  ],
  'envoy/extensions/upstreams/http/v3/http_protocol_options.proto': [
    [
      'import "envoy/config/core/v3/protocol.proto";',
      'import "envoy/config/common/matcher/v3/matcher.proto";',
    ],
    [
      'config.core.v3.TypedExtensionConfig header_validation_config = 7;',
      'message OutlierDetection { config.common.matcher.v3.MatchPredicate error_matcher = 1; }',
      'OutlierDetection outlier_detection = 8;',
    ],
  ],
}

/** Where an import path is looked up, in order. */
const trees = ['envoy-api', 'xds', 'protoc-gen-validate', 'googleapis'].map((tree) =>
  join(deps, tree),
)

/** Copies one .proto file and all that it imports, once each. */
function stage(path, staged) {
  if (staged.has(path) || path.startsWith('google/protobuf/')) return
  staged.add(path)
  const from = trees.map((tree) => join(tree, path)).find((file) => existsSync(file))
  if (from === undefined)
    throw new Error(`${path}: imported, and in none of the copies under ${deps}`)
  // `ignore_empty` is an older field option, unknown to the protoc-gen-validate copy beside it.
  const text = withLaterFields(path, readFileSync(from, 'utf8')).replaceAll(
    ' ignore_empty: true',
    '',
  )
  const target = join(staging, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, text)
  for (const [, imported] of text.matchAll(/^import (?:public )?"([^"]+)";/gm))
    stage(imported, staged)
}

function withLaterFields(path, text) {
  for (const [anchor, ...added] of laterFields[path] ?? []) {
    const missing = added.filter((line) => !text.includes(line))
    if (!text.includes(anchor)) throw new Error(`${path}: without the line ${anchor}`)
    text = text.replace(anchor, [anchor, ...missing].join('\n'))
  }
  return text
}

function isWanted(path) {
  if (!path.endsWith('.proto') || /(^|\/)v2(alpha)?[0-9]*(\/|$)/.test(path)) return false
  return !droppedFiles.some((dropped) => path.startsWith(dropped))
}

function listFiles(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? listFiles(path) : [path]
  })
}

rmSync(staging, { recursive: true, force: true })
rmSync(join(root, 'build', 'generated-before'), { recursive: true, force: true })
rmSync(fresh, { recursive: true, force: true })
const staged = new Set()
const envoyApi = join(deps, 'envoy-api')
for (const file of listFiles(join(envoyApi, 'envoy'))) {
  const path = relative(envoyApi, file)
  if (isWanted(path)) stage(path, staged)
}
for (const path of extraFiles) stage(path, staged)
if (existsSync(join(root, 'proto'))) cpSync(join(root, 'proto'), staging, { recursive: true })
mkdirSync(fresh, { recursive: true })

writeFileSync(join(staging, 'buf.yaml'), 'version: v2\n')
writeFileSync(
  join(staging, 'buf.gen.yaml'),
  JSON.stringify({
    version: 'v2',
    plugins: [
      {
        local: join(root, 'node_modules', '.bin', 'protoc-gen-ts_proto'),
        out: fresh,
        strategy: 'all',
        opt: [
          'esModuleInterop=true',
          'importSuffix=.ts',
          'env=node',
          'forceLong=number',
          'oneof=unions-value',
          'stringEnums=false',
          'enumsAsLiterals=true',
          'unrecognizedEnum=false',
          'useDate=false',
          'outputServices=false',
          'outputPartialMethods=true',
          'outputJsonMethods=false',
          'outputClientImpl=false',
          'exportCommonSymbols=false',
          'comments=false',
          'useDuration=string',
        ],
      },
    ],
  }),
)
execFileSync(join(root, 'node_modules', '.bin', 'buf'), ['generate', '.'], {
  cwd: staging,
  stdio: 'inherit',
})

// The same types as a table, for JSON (src/xds/json.ts); and as descriptors, for the test that compares the two.
const image = execFileSync(
  join(root, 'node_modules', '.bin', 'buf'),
  ['build', '.', '--as-file-descriptor-set', '--exclude-source-info', '-o', '-'],
  { cwd: staging, maxBuffer: 64 << 20, stdio: ['ignore', 'pipe', 'inherit'] },
)
const table = gzipSync(messageTable(image), { level: 9 }).toString('base64')
writeFileSync(
  join(fresh, 'message-table.ts'),
  `// Text of scripts/message-table.mjs: gzip, base64.\nexport const table =\n  '${table}'\n`,
)
writeFileSync(join(fresh, 'descriptors.binpb'), image)
const unsafeRefusal =
  /if \(num [<>] globalThis\.Number\.M(?:AX|IN)_SAFE_INTEGER\) \{\nthrow new globalThis\.Error\("[^"]+"\);\n\}\n/g
// Every process keeps the text of what it has loaded, twice; a fifth of it is indentation.
for (const file of listFiles(fresh)) {
  if (!file.endsWith('.ts')) continue
  const text = readFileSync(file, 'utf8').replaceAll(/\n\s+/g, '\n')
  // A number beyond 2^53 becomes the nearest that there is, instead of making its whole message unreadable.
  writeFileSync(file, text.replaceAll(unsafeRefusal, ''))
}
const previous = join(root, 'build', 'generated-before')
mkdirSync(dirname(output), { recursive: true })
if (existsSync(output)) renameSync(output, previous)
renameSync(fresh, output)
rmSync(previous, { recursive: true, force: true })
