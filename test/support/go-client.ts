/** A client as Go's users write it, knowing of no proxy: takes a URL, prints the body. */
export const goClient = `package main
import ("fmt"; "io"; "net/http"; "os")
func main() {
	response, err := http.Get(os.Args[1])
	if err != nil { fmt.Fprintln(os.Stderr, err); os.Exit(1) }
	body, _ := io.ReadAll(response.Body)
	os.Stdout.Write(body)
}`
