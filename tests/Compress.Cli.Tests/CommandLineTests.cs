namespace Compress.Cli.Tests;

public sealed class CommandLineTests
{
    public static TheoryData<string> Commands =>
        ["run", "plan", "train", "evaluate", "check", "inspect", "generate", "benchmark", "convert", "synthesize", "methods", "schema", "doctor"];

    [Fact]
    public async Task Help_lists_every_command_and_the_exit_codes()
    {
        var help = await Cli.RunAsync("--help");
        Assert.Equal(0, help.Code);
        foreach (var command in Commands) Assert.Contains($"\n  {command}", help.Output);
        Assert.Contains("compress run recipes/quickstart.yaml", help.Output);
        Assert.EndsWith("  5  a bug in compress" + Environment.NewLine, help.Output);
        Assert.Empty(help.Error);
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task Help_of_a_command_ends_with_an_example(string command)
    {
        var help = await Cli.RunAsync(command, "--help");
        Assert.Equal(0, help.Code);
        Assert.Contains($"Example:\n  compress {command}", help.Output);
        Assert.Contains("--json", help.Output);
    }

    [Theory]
    [InlineData("mthods", "compress: Unrecognized command or argument 'mthods'. Did you mean 'methods'? See compress --help.")]
    [InlineData("methods --jsn", "compress: Unknown method '--jsn'.")]
    [InlineData("", "compress: Required command was not provided. See compress --help.")]
    public async Task A_wrong_command_line_is_explained(string line, string message)
    {
        var result = await Cli.RunAsync(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(ExitCode.RecipeWrong, result.Code);
        Assert.StartsWith(message, result.Error, StringComparison.OrdinalIgnoreCase);
        Assert.Empty(result.Output);
    }

    [Fact]
    public async Task A_failure_with_json_is_one_document()
    {
        var result = await Cli.RunAsync("methods", "no_such_method", "--json");
        Assert.Equal(ExitCode.RecipeWrong, result.Code);
        Assert.Equal(2, (int)result.Json["error"]!["code"]!);
        Assert.Contains("no_such_method", (string)result.Json["error"]!["message"]!);
    }

    [Fact]
    public async Task Methods_shows_every_option_of_a_method()
    {
        var text = (await Cli.RunAsync("methods", "gptq")).Output;
        Assert.StartsWith("gptq (quantize): ", text);
        Assert.Contains("arXiv:2210.17323", text);
        Assert.Contains("bits: a whole number between 2 and 8, default 4\n    Bits of a code.\n", text.ReplaceLineEndings("\n"));
        var wanda = (await Cli.RunAsync("methods", "wanda", "--json")).Json;
        Assert.Equal("prune", (string)wanda["stage"]!);
        Assert.Equal(["sparsity", "pattern"], wanda["options"]!.AsArray().Select(o => (string)o!["name"]!));
        Assert.Equal("unstructured", (string)wanda["options"]![1]!["default"]!);
        var all = (await Cli.RunAsync("methods", "--json")).Json["methods"]!.AsArray().Select(m => (string)m!["name"]!).ToList();
        Assert.Superset(new HashSet<string> { "magnitude", "wanda", "gptq", "rtn" }, all.ToHashSet());
    }

    [Fact]
    public async Task Pipes_get_no_escape_codes()
    {
        var result = await Cli.RunProcessAsync(["methods"], ("TERM", "xterm-256color"));
        Assert.Equal(0, result.Code);
        Assert.DoesNotContain('\u001b', result.Output + result.Error);
    }

    [Fact]
    public async Task Doctor_finds_that_products_are_right()
    {
        var result = await Cli.RunAsync("doctor", "--json");
        Assert.Equal(0, result.Code);
        Assert.True((bool)result.Json["self_test"]!["correct"]!);
        Assert.True((double)result.Json["self_test"]!["gflops_f32"]! > 0);
        Assert.Equal("2.10", string.Join('.', ((string)result.Json["backend"]!["libtorch"]!).Split('.')[..2]));
        Assert.True(File.Exists((string?)result.Json["backend"]!["libtorch_path"]));
        Assert.Equal(Environment.ProcessorCount, (int)result.Json["machine"]!["cores"]!);
    }

    [Fact]
    public async Task Doctor_names_a_library_that_cannot_be_loaded()
    {
        var folder = Directory.CreateTempSubdirectory("compress-doctor-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "libc10.so"), "this is no library");
            var result = await Cli.RunProcessAsync(["doctor"], ("COMPRESS_TORCH_HOME", folder.FullName));
            Assert.Equal(ExitCode.RecipeWrong, result.Code);
            Assert.Contains("libc10.so cannot be loaded", result.Error);
            Assert.Contains("instruction sets", result.Output);
            Assert.DoesNotContain("   at ", result.Output + result.Error);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
