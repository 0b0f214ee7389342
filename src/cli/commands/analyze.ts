/** `tulle analyze PATH…`: everything that is wrong in files, without a running mesh. */
import { issueCodes } from '../../model/issue-codes.ts'
import type { Issue, Severity } from '../../model/issue.ts'
import { withoutSuppressed } from '../../translate/analysis/suppress.ts'
import { analyze } from '../../translate/analyze.ts'
import { readManifests } from '../analyze/read-manifest.ts'
import { parseSuppression } from '../analyze/suppression.ts'
import { usageError, type Command, type CommandInput, type CommandResult } from '../command.ts'
import { countIssues, issueLog, issuesText, sortIssues } from '../issue-text.ts'
import { loadOffline } from '../offline.ts'
import type { Output } from '../output.ts'

/** Worst first. */
const severities: readonly Severity[] = ['error', 'warning', 'info']

export const analyzeCommand: Command = {
  name: 'analyze',
  summary: 'find what is wrong in configuration files, without a running mesh',
  description:
    'Reads files and folders with all that is below them; a mesh file among them brings its own folders, services ' +
    'and settings. Codes are those of istioctl analyze where Istio has one. Findings of a resource are suppressed by ' +
    'its annotation galley.istio.io/analyze-suppress (codes, or *), or by -S. Exit code 0: nothing at or above the ' +
    'threshold; 1: something is; 2: misuse. ' +
    'As JSON it is a list of {code, severity, file, line, column, resource, path, message, remedy}.',
  arguments: [{ name: '[path...]', summary: 'files and folders of YAML; - is standard input' }],
  flags: [
    {
      flags: '-o, --output <format>',
      summary: 'table, json, yaml or log',
      default: 'table',
      choices: ['table', 'json', 'yaml', 'log'],
    },
    { flags: '-n, --namespace <namespace>', summary: 'namespace of resources that name none' },
    {
      flags: '--failure-threshold <severity>',
      summary: 'lowest severity that makes the exit code 1',
      default: 'error',
      choices: ['error', 'warning', 'info', 'Error', 'Warning', 'Info'],
    },
    {
      flags: '--output-threshold <severity>',
      summary: 'lowest severity that is shown',
      default: 'info',
      choices: ['error', 'warning', 'info', 'Error', 'Warning', 'Info'],
    },
    {
      flags: '-S, --suppress <code=resource>',
      summary: "do not report a code, or a code of a resource: 'IST0118=Service *.default'",
      isRepeatable: true,
    },
    { flags: '-R, --recursive', summary: 'folders are always read with all below them' },
    { flags: '-L, --list-analyzers', summary: 'list what is looked for, and end' },
  ],
  examples: [
    { command: 'tulle analyze mesh.yaml', does: 'a mesh file with all that it names' },
    { command: 'tulle analyze -o json config/', does: 'a folder, for a program' },
    { command: 'tulle analyze - < rendered.yaml', does: 'what another program prints' },
    {
      command: "tulle analyze -S 'IST0118=Service *.default' --failure-threshold warning config/",
      does: 'for CI: warnings count, and one is accepted',
    },
  ],
  async run(input) {
    const { arguments: paths, flags } = input
    if (flags.isSet('listAnalyzers')) return listCodes()
    if (paths.length === 0)
      throw usageError('which files?', 'name files or folders of YAML, or - for standard input')
    const isSuppressed = flags.list('suppress').map(parseSuppression)
    const { issues, ...seen } = await findIssues(input)
    const found = issues.filter((issue) => !isSuppressed.some((matches) => matches(issue)))
    const shown = sortIssues(
      found.filter(({ severity }) => isAtLeast(severity, input, 'outputThreshold')),
    )
    const isBad = found.some(({ severity }) => isAtLeast(severity, input, 'failureThreshold'))
    return { exitCode: isBad ? 1 : 0, output: outputOf(shown, seen, input) }
  },
}

interface Seen {
  readonly resources: number
  /** Of the mesh file, of Services and of ServiceEntries. */
  readonly services: number
}

async function findIssues({
  arguments: paths,
  flags,
  context: { readInput },
}: CommandInput): Promise<Seen & { readonly issues: readonly Issue[] }> {
  const namespace = flags.text('namespace')
  const offline = await loadOffline({ paths, namespace, readInput })
  const { input } = offline
  const { workloads, namespaces } = readManifests(offline.texts, namespace ?? 'default')
  const found = analyze(input, { declared: workloads, namespaces })
  const all = [...offline.issues, ...found]
  return {
    issues: withoutSuppressed(all, input.resources.values()),
    resources: input.resources.size,
    services: input.registry.services.size,
  }
}

function isAtLeast(
  severity: Severity,
  { flags }: CommandInput,
  flag: 'outputThreshold' | 'failureThreshold',
): boolean {
  const threshold = flags.text(flag)?.toLowerCase() ?? 'info'
  return severities.indexOf(severity) <= severities.findIndex((word) => word === threshold)
}

function outputOf(
  issues: readonly Issue[],
  { resources, services }: Seen,
  { flags, context }: CommandInput,
): Output {
  const text = (shown: string): Output => ({ data: issues, view: { kind: 'text', text: shown } })
  if (flags.text('output') === 'log') return text(issues.map(issueLog).join(''))
  if (issues.length === 0) return text(`no problems in ${resources} resources\n`)
  const isLost = services === 0 && issues.some(({ code }) => unknownHosts.has(code))
  const hint = isLost ? withoutServices : ''
  return text(`${issuesText(issues, context)}${countIssues(issues)}\n${hint}`)
}

/** A host that nobody declares. */
const unknownHosts: ReadonlySet<string> = new Set(['IST0101', 'IST0174'])
const withoutServices =
  'None of these files declares a service. Name the mesh file, which brings its services and folders: tulle analyze mesh.yaml\n'

function listCodes(): CommandResult {
  const rows = Object.entries(issueCodes).map(([code, { title, meaning }]) => ({
    code,
    title,
    meaning,
  }))
  return {
    exitCode: 0,
    output: {
      data: rows,
      view: {
        kind: 'table',
        table: {
          columns: ['CODE', 'TITLE', 'MEANING'],
          rows: rows.map(({ code, title, meaning }) => [code, title, meaning]),
          empty: '',
        },
      },
    },
  }
}
