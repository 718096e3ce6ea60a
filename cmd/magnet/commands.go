package main

import "github.com/spf13/cobra"

// commands returns the commands of the command line.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.demoCommand(), a.initCommand(), a.enrollCommand(), a.participantCommand(), a.keyCommand(), a.grantCommand(),
		a.templateCommand(), a.submitCommand(), a.amendCommand(), a.voidCommand(), a.statementCommand(), a.volumesCommand(),
		a.checkpointCommand(), a.verifyCommand(), a.receiptCommand(), a.publishCommand(), a.forkCommand(), a.witnessCommand(),
		a.backupCommand(), a.restoreCommand(), a.benchCommand(), a.benchServeCommand(),
	}
}
