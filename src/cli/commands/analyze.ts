/** `tulle analyze PATH…`: everything that is wrong in files, without a running mesh. */
import { analyze } from '../../translate/analyze.ts'
import { outputFlag, type Command } from '../command.ts'
import { countIssues, issuesText, sortIssues } from '../issue-text.ts'
import { loadOffline } from '../offline.ts'

/** Worst first. */
const severities: readonly string[] = ['error', 'warning', 'info']

export const analyzeCommand: Command = {
  name: 'analyze',
  summary: 'find what is wrong in configuration files, without a running mesh',
  description:
    'Reads files and folders; a mesh file among them brings its own folders, services and settings. Exit code 0: ' +
    'nothing at or above the threshold; 1: something is; 2: misuse. ' +
    'As JSON it is a list of {code, severity, file, line, column, resource, path, message, remedy}.',
  arguments: [{ name: '<path...>', summary: 'files and folders of YAML' }],
  flags: [
    outputFlag,
    { flags: '-n, --namespace <namespace>', summary: 'namespace of resources that name none' },
    {
      flags: '--failure-threshold <severity>',
      summary: 'lowest severity that makes the exit code 1',
      default: 'error',
      choices: ['error', 'warning', 'info'],
    },
  ],
  examples: [
    { command: 'tulle analyze mesh.yaml', does: 'a mesh file with all that it names' },
    { command: 'tulle analyze -o json config/', does: 'a folder, for a program' },
  ],
  async run({ arguments: paths, flags, context }) {
    const offline = await loadOffline({
      paths,
      namespace: flags.text('namespace'),
    })
    const issues = sortIssues([...offline.issues, ...analyze(offline.input)])
    const threshold = severities.indexOf(flags.text('failureThreshold') ?? 'error')
    const exitCode = issues.some(({ severity }) => severities.indexOf(severity) <= threshold)
      ? 1
      : 0
    const text =
      issues.length === 0
        ? `no problems in ${offline.input.resources.size} resources\n`
        : `${issuesText(issues, context)}${countIssues(issues)}\n`
    return { exitCode, output: { data: issues, view: { kind: 'text', text } } }
  },
}
