using Compress.Contract;
using Compress.Quant.Methods;

namespace Compress.Quant.Tests;

public class ContractTests
{
    private static readonly LinearMethodContract Contract = new(typeof(Rtn).Assembly);

    public static TheoryData<string, string> Cases => Contract.Cases();

    [Theory]
    [MemberData(nameof(Cases))]
    public void Holds(string method, string duty) => Contract.Check(method, duty);
}
