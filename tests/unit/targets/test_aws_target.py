"""The aws target is boto3's own session, and knows whether AWS itself answers."""

from __future__ import annotations

import pytest

from etl_manager.errors import TargetError
from etl_manager.targets import TargetOptions, open_target


@pytest.fixture(autouse=True)
def operators_environment(monkeypatch, tmp_path):
    """Give every test credentials, and no configuration of the machine's."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL_SSM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def target(profile=None):
    return open_target("aws", TargetOptions(region="eu-west-1", profile=profile))


def test_aws_itself():
    """Without an endpoint of its own it is AWS that answers, in the region asked for."""
    aws = target()
    assert (aws.name, aws.emulated, aws.endpoint_url, aws.region) == ("aws", False, None, "eu-west-1")
    assert aws.client("ssm").meta.endpoint_url == "https://ssm.eu-west-1.amazonaws.com"
    assert aws.witness_conninfo("postgres") is None
    aws.close()


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_RDS"])
def test_another_endpoint_is_emulated(monkeypatch, variable):
    """Another endpoint, of one service too, is not AWS."""
    monkeypatch.setenv(variable, "http://127.0.0.1:4566")
    aws = target()
    assert (aws.emulated, aws.endpoint_url) == (True, "http://127.0.0.1:4566")


def test_endpoint_in_the_profile_is_emulated(monkeypatch, tmp_path):
    """An endpoint that stands in the profile counts as well."""
    (tmp_path / "config").write_text("[profile lab]\nendpoint_url = http://lab.example:4566\n")
    assert target(profile="lab").emulated


@pytest.mark.parametrize(
    "region",
    [
        "us-gov-west-1",
        "cn-north-1",
        "eusc-de-east-1",
        "us-iso-east-1",
        "us-isob-east-1",
        "eu-isoe-west-1",
        "us-isof-south-1",
    ],
)
@pytest.mark.parametrize("variant", ["", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_every_partition_is_aws(monkeypatch, region, variant):
    """GovCloud, China, the European Sovereign Cloud and the isolated regions are AWS, by each kind of endpoint."""
    if variant == "AWS_USE_DUALSTACK_ENDPOINT" and region in ("eu-isoe-west-1", "us-isof-south-1"):
        pytest.skip("botocore knows no such endpoint there")
    if variant:
        monkeypatch.setenv(variant, "true")
    aws = open_target("aws", TargetOptions(region=region))
    assert (aws.endpoint_url, aws.emulated) == (None, False)


@pytest.mark.parametrize(
    "url",
    [
        "https://ssm.amazonaws.com.example.org",
        "https://ssm.example-amazonaws.com",
        "http://ec2-203-0-113-7.compute-1.amazonaws.com:4566",
        "http://lab-123456.eu-west-1.elb.amazonaws.com",
        "https://abcdef.execute-api.eu-west-1.amazonaws.com",
    ],
)
def test_name_that_only_looks_like_aws_is_emulated(monkeypatch, url):
    """Only a service's own name below AWS's domains is AWS: its customers' machines stand there as well."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", url)
    assert target().emulated


def test_endpoint_in_the_vpc_is_aws(monkeypatch):
    """An interface endpoint in the operator's VPC is AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "https://vpce-1.ssm.eu-west-1.vpce.amazonaws.com")
    assert not target().emulated


def test_unknown_profile():
    """An unknown profile is one error that says where to look."""
    with pytest.raises(TargetError, match="list-profiles"):
        target(profile="nobody")


def test_attempts():
    """A client for calls that must not be sent twice sends them once."""
    assert target().client("ssm", attempts=1).meta.config.retries["total_max_attempts"] == 1
